// Runs one scenario of the official Node client: node call.mjs SCENARIO < arguments as JSON.
// Prints one line of JSON: {"ok": result} or {"error": {class, code, message, status}}.
import { readFileSync } from 'node:fs';
import { ScalekitClient } from '@scalekit-sdk/node';
import { scenarios } from './scenarios.mjs';

const input = JSON.parse(readFileSync(0, 'utf8') || '{}');
const { SCALEKIT_ENV_URL, SCALEKIT_CLIENT_ID, SCALEKIT_CLIENT_SECRET } = process.env;
const client = new ScalekitClient(SCALEKIT_ENV_URL, SCALEKIT_CLIENT_ID, SCALEKIT_CLIENT_SECRET);

// 64-bit integers and bytes have no JSON form of their own.
const plain = (_key, value) => (typeof value === 'bigint' ? Number(value) : value);

try {
  const result = await scenarios[process.argv[2]](client, input);
  console.log(JSON.stringify({ ok: result ?? null }, plain));
} catch (error) {
  const { errorCode, message, grpcStatus, response } = error;
  const described = { class: error.constructor.name, code: errorCode, message, grpcStatus, status: response?.status };
  console.log(JSON.stringify({ error: described }, plain));
}
