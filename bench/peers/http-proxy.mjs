// The peer of the proxy: npm http-proxy-3 that adds a fixed bearer, with connections to the upstream kept open.
// Environment: PORT, UPSTREAM, TLS_CERTIFICATE, TLS_KEY.
import httpProxy from 'http-proxy-3';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createServer } from 'node:https';

const { PORT, UPSTREAM, TLS_CERTIFICATE, TLS_KEY } = process.env;
const proxy = httpProxy.createProxyServer({
  target: UPSTREAM,
  agent: new Agent({ keepAlive: true, maxSockets: 256 }),
  headers: { authorization: 'Bearer token' },
});
proxy.on('error', (_error, _req, res) => res.writeHead?.(502).end());
createServer({ cert: readFileSync(TLS_CERTIFICATE), key: readFileSync(TLS_KEY) }, (req, res) => proxy.web(req, res))
  .listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
