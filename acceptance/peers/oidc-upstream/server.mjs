// A real OAuth/OIDC provider (npm oidc-provider) in the role of a third party that users connect their accounts of.
// Refresh tokens rotate, reuse of a rotated one revokes the whole grant. It also has a protected resource, a journal
// of token events, and a control endpoint that makes it slow, broken or forgetful.
//
// Environment: ACCESS_TOKEN_TTL (seconds, default 3600), JOURNAL (file, JSON lines), TLS_CERT and TLS_KEY (PEM files;
// plain HTTP without them).
// Prints "ready http(s)://127.0.0.1:PORT" once it answers.
import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Provider } from 'oidc-provider';
import { MapAdapter } from './adapter.mjs';
import { interactions } from './pages.mjs';

const accessTokenTtl = Number(process.env.ACCESS_TOKEN_TTL ?? 3600);
const journalFile = process.env.JOURNAL;
// What the control endpoint changes; `tokenStatus` 0 means "answer normally".
const control = { tokenStatus: 0, tokenDelayMs: 0, tokenAnswerDelayMs: 0, tokenEcho: false, apiStatus: 0 };

const fingerprint = (secret) => createHash('sha256').update(secret).digest('hex').slice(0, 16);

function journal(event, fields = {}) {
  appendFileSync(journalFile, `${JSON.stringify({ at: Date.now(), event, ...fields })}\n`);
}

const { TLS_CERT, TLS_KEY } = process.env;
const server = TLS_CERT
  ? createTlsServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `${TLS_CERT ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  adapter: MapAdapter,
  cookies: { keys: ['acceptance-tests-only'] },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'notes:read', 'notes:write'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  clientDefaults: {
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
  },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
  },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  pkce: { required: () => true },
  ttl: {
    AccessToken: accessTokenTtl, AuthorizationCode: 60, Grant: 86400, IdToken: 3600,
    Interaction: 600, RefreshToken: 86400, Session: 86400,
  },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `User ${id}`, email: `${id}@upstream.test`, email_verified: true }),
  }),
});

provider.on('authorization.accepted', (ctx) => {
  const { client_id, redirect_uri, code_challenge_method, scope, response_type } = ctx.oidc.params;
  journal('authorization', { client_id, redirect_uri, code_challenge_method, scope, response_type });
});
provider.on('grant.success', (ctx) => {
  const { body, params, entities } = ctx.oidc;
  journal('token_issued', {
    grant_type: params.grant_type,
    client_id: ctx.oidc.client.clientId,
    grant: entities.Grant?.jti,
    scope: ctx.body.scope,
    access_token: ctx.body.access_token,
    refresh_token: ctx.body.refresh_token,
    used_refresh_token: params.grant_type === 'refresh_token' ? fingerprint(body.refresh_token) : undefined,
  });
});
provider.on('grant.error', (ctx, error) => {
  const { params, entities, client } = ctx.oidc;
  const reuse = error.error_detail === 'refresh token already used';
  journal(reuse ? 'refresh_token_reuse' : 'token_refused', {
    grant_type: params?.grant_type,
    client_id: client?.clientId,
    grant: entities.RefreshToken?.grantId,
    error: error.error,
    detail: error.error_detail,
  });
});
provider.on('grant.revoked', (_ctx, grantId) => journal('grant_revoked', { grant: grantId }));
provider.on('server_error', (_ctx, error) => journal('server_error', { error: String(error) }));

const readBody = async (req) => {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
};

function json(res, status, body) {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** The protected resource: needs a live access token, tells what the request looked like. */
async function resource(req, res, url) {
  const token = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1];
  const found = token ? await provider.AccessToken.find(token) : undefined;
  const body = await readBody(req);
  journal('api_call', { method: req.method, url: req.url, sub: found?.accountId, authorized: Boolean(found) });
  if (control.apiStatus) return json(res, control.apiStatus, { error: 'as_told' });
  if (!found) {
    res.setHeader('www-authenticate', 'Bearer error="invalid_token"');
    return json(res, 401, { error: 'invalid_token' });
  }
  return json(res, 200, {
    sub: found.accountId,
    scope: found.scope,
    method: req.method,
    path: url.pathname,
    query: url.search,
    headers: Object.fromEntries(Object.entries(req.headers).filter(([name]) => name !== 'authorization')),
    body: body.toString('utf8'),
  });
}

/** POST /_control {tokenStatus?, tokenDelayMs?, tokenAnswerDelayMs?, tokenEcho?, apiStatus?, revokeAll?, endAccessTokens?} */
async function changeControl(req, res) {
  const { revokeAll, endAccessTokens, ...settings } = JSON.parse(await readBody(req));
  Object.assign(control, settings);
  if (revokeAll) MapAdapter.forgetGrants();
  if (endAccessTokens) MapAdapter.forgetAccessTokens();
  json(res, 200, control);
}

/** Holds the answer back after the request took effect. */
function delayAnswer(res, milliseconds) {
  const end = res.end.bind(res);
  if (milliseconds) res.end = (...rest) => setTimeout(() => end(...rest), milliseconds);
}

const oauth = provider.callback();
const pages = interactions(provider);

server.on('request', async (req, res) => {
  const url = new URL(req.url, issuer);
  try {
    if (url.pathname.startsWith('/api/')) return await resource(req, res, url);
    if (url.pathname === '/_control' && req.method === 'POST') return await changeControl(req, res);
    if (url.pathname.startsWith('/interaction/')) return await pages(req, res, url);
    if (url.pathname === '/token') {
      // From here on the refresh token has left the client, whatever becomes of the answer.
      journal('token_request');
      delayAnswer(res, control.tokenAnswerDelayMs);
      if (control.tokenDelayMs) await new Promise((resolve) => setTimeout(resolve, control.tokenDelayMs));
      if (control.tokenEcho) {
        // There are providers whose errors repeat what they were sent.
        const sent = (await readBody(req)).toString();
        return json(res, 400, { error: 'invalid_request', error_description: `cannot use ${sent}`, sent });
      }
      if (control.tokenStatus) {
        journal('token_outage', { status: control.tokenStatus });
        return json(res, control.tokenStatus, { error: 'temporarily_unavailable' });
      }
    }
    return oauth(req, res);
  } catch (error) {
    journal('server_error', { error: String(error?.stack ?? error) });
    if (!res.headersSent) json(res, 500, { error: 'server_error' });
  }
});

process.on('SIGTERM', () => process.exit(0));
console.log(`ready ${issuer}`);
