// The peer of the token endpoint: npm oidc-provider, RS256 access tokens as JWT, client_secret_post.
// Environment: PORT, PEER_DB, PEER_SECRET, WORKERS (1; more starts a cluster).
import cluster from 'node:cluster';
import { Provider } from 'oidc-provider';
import { generateKeyPairSync } from 'node:crypto';

const workers = Number(process.env.WORKERS ?? 1);
if (cluster.isPrimary && workers > 1) {
  // One key for all workers, as a real deployment has.
  process.env.PEER_KEY ??= JSON.stringify(newKey());
  for (let i = 0; i < workers; i += 1) cluster.fork();
  process.on('SIGTERM', () => process.exit(0));
} else {
  await serve();
}

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'bench' };
}

async function serve() {
  const { SqliteAdapter } = await import('./adapter.mjs');
  const port = Number(process.env.PORT);
  const key = process.env.PEER_KEY ? JSON.parse(process.env.PEER_KEY) : newKey();
  const resource = 'urn:bench:api';
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    adapter: SqliteAdapter,
    jwks: { keys: [key] },
    clients: [{
      client_id: 'bench', client_secret: process.env.PEER_SECRET, redirect_uris: [], response_types: [],
      grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_post',
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'api', audience: resource, accessTokenTTL: 3600, accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    ttl: { ClientCredentials: 3600 },
  });
  provider.listen(port, '127.0.0.1');
  process.on('SIGTERM', () => process.exit(0));
}
