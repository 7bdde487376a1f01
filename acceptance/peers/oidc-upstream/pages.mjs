// The upstream provider's login and consent pages: one form each, as a person would meet them.

const page = (title, form) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><h1>${title}</h1><form method="post">${form}<button name="choice" value="deny">Deny</button></form></body></html>`;

const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

async function readForm(req) {
  let body = '';
  for await (const chunk of req) body += chunk;
  return new URLSearchParams(body);
}

/** Grants everything the client asked for. */
async function grantAll(provider, details) {
  const { prompt, params, session } = details;
  const grant = details.grantId
    ? await provider.Grant.find(details.grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return { consent: { grantId: await grant.save() } };
}

export const interactions = (provider) => async (req, res) => {
  const details = await provider.interactionDetails(req, res);
  const { prompt, params } = details;
  if (req.method === 'GET') {
    const form = prompt.name === 'login'
      ? '<label>User <input name="login" required></label><button name="choice" value="allow">Sign in</button>'
      : `<p>Scopes: <output>${escape(params.scope ?? '')}</output></p><button name="choice" value="allow">Allow</button>`;
    res.setHeader('content-type', 'text/html; charset=utf-8');
    res.end(page(prompt.name === 'login' ? 'Upstream sign in' : 'Upstream consent', form));
    return undefined;
  }
  const form = await readForm(req);
  if (form.get('choice') === 'deny') {
    const refused = { error: 'access_denied', error_description: 'The user said no' };
    return provider.interactionFinished(req, res, refused, { mergeWithLastSubmission: false });
  }
  const result = prompt.name === 'login'
    ? { login: { accountId: form.get('login') } }
    : await grantAll(provider, details);
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
};
