// SQLite storage of the oidc-provider peer: WAL and synchronous=NORMAL, prepared statements, an index on grant and uid.
// NORMAL is weaker than the product's own setting (FULL), to the peer's advantage.
import Database from 'better-sqlite3';

const db = new Database(process.env.PEER_DB);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = NORMAL');
db.exec(`CREATE TABLE IF NOT EXISTS models (
    model TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL, uid TEXT, grant_id TEXT,
    expires_at INTEGER, consumed_at INTEGER, PRIMARY KEY (model, id));
  CREATE INDEX IF NOT EXISTS models_uid ON models (model, uid);
  CREATE INDEX IF NOT EXISTS models_grant ON models (grant_id);`);

const upsert = db.prepare(`INSERT INTO models (model, id, payload, uid, grant_id, expires_at)
  VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`);
const find = db.prepare('SELECT payload, consumed_at FROM models WHERE model = ? AND id = ? AND (expires_at IS NULL OR expires_at > ?)');
const findByUid = db.prepare('SELECT payload, consumed_at FROM models WHERE model = ? AND uid = ?');
const consume = db.prepare('UPDATE models SET consumed_at = ? WHERE model = ? AND id = ?');
const destroy = db.prepare('DELETE FROM models WHERE model = ? AND id = ?');
const revoke = db.prepare('DELETE FROM models WHERE grant_id = ?');

const now = () => Math.floor(Date.now() / 1000);
const read = (row) => row && { ...JSON.parse(row.payload), ...(row.consumed_at ? { consumed: row.consumed_at } : {}) };

export class SqliteAdapter {
  constructor(model) {
    this.model = model;
  }
  async upsert(id, payload, expiresIn) {
    const expiresAt = expiresIn ? now() + expiresIn : null;
    upsert.run(this.model, id, JSON.stringify(payload), payload.uid ?? null, payload.grantId ?? null, expiresAt);
  }
  async find(id) {
    return read(find.get(this.model, id, now()));
  }
  async findByUid(uid) {
    return read(findByUid.get(this.model, uid));
  }
  async findByUserCode() {
    return undefined;
  }
  async consume(id) {
    consume.run(now(), this.model, id);
  }
  async destroy(id) {
    destroy.run(this.model, id);
  }
  async revokeByGrantId(grantId) {
    revoke.run(grantId);
  }
}
