// Storage of the upstream provider. The library's own memory adapter forgets entries beyond a thousand, which a test
// with many refreshes would take for revoked tokens; this one forgets nothing but what expired or was destroyed.

const stores = new Map();
const store = (model) => stores.get(model) ?? stores.set(model, new Map()).get(model);
// Models that belong to a grant and die with it.
const GRANTABLE = ['AccessToken', 'AuthorizationCode', 'RefreshToken'];

export class MapAdapter {
  constructor(model) {
    this.entries = store(model);
  }

  async upsert(id, payload, expiresIn) {
    this.entries.set(id, { payload, expiresAt: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
  }

  async find(id) {
    const entry = this.entries.get(id);
    if (!entry || entry.expiresAt <= Date.now()) return undefined;
    return entry.payload;
  }

  async findBy(test) {
    for (const { payload, expiresAt } of this.entries.values()) {
      if (expiresAt > Date.now() && test(payload)) return payload;
    }
    return undefined;
  }

  findByUid(uid) {
    return this.findBy((payload) => payload.uid === uid);
  }

  findByUserCode(userCode) {
    return this.findBy((payload) => payload.userCode === userCode);
  }

  async consume(id) {
    this.entries.get(id).payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.entries.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const model of GRANTABLE) {
      for (const [id, { payload }] of store(model)) {
        if (payload.grantId === grantId) store(model).delete(id);
      }
    }
  }

  /** Withdraws every consent, as a user would on the provider's "connected apps" page. */
  static forgetGrants() {
    for (const model of ['Grant', ...GRANTABLE]) store(model).clear();
  }

  /** Ends every access token before its time and leaves the grants. */
  static forgetAccessTokens() {
    store('AccessToken').clear();
  }
}
