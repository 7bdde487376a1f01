// What the acceptance tests do with the official Node client. Assertions are made by the caller.

export const scenarios = {
  async organizationLifecycle(client, { name, externalId }) {
    const created = (await client.organization.createOrganization(name, { externalId })).organization;
    const byExternalId = (await client.organization.getOrganizationByExternalId(externalId)).organization;
    const updated = (await client.organization.updateOrganization(created.id, { displayName: `${name} 2` })).organization;
    const seen = [];
    let pageToken;
    do {
      const page = await client.organization.listOrganization({ pageSize: 10, pageToken });
      seen.push(...page.organizations.map((organization) => organization.id));
      pageToken = page.nextPageToken;
    } while (pageToken);
    await client.organization.deleteOrganization(created.id);
    return { id: created.id, byExternalId: byExternalId.id, updatedName: updated.displayName, listed: seen.includes(created.id) };
  },

  getOrganization: (client, { id }) => client.organization.getOrganization(id),
  createOrganization: (client, { name, externalId }) => client.organization.createOrganization(name, { externalId }),

  async listConnections(client, { pageSize }) {
    const all = [];
    let pageToken;
    do {
      const page = await client.actions.listConnections({ pageSize, pageToken });
      all.push(...page.connections);
      pageToken = page.nextPageToken;
    } while (pageToken);
    return all;
  },

  async staticAccount(client, { connectionName, identifier, details }) {
    const { actions } = client;
    const created = await actions.getOrCreateConnectedAccount({ connectionName, identifier });
    const link = await actions.getAuthorizationLink({ connectionName, identifier });
    const authorizationDetails = { details: { case: 'staticAuth', value: { details } } };
    const updated = await actions.updateConnectedAccount({ connectionName, identifier, authorizationDetails });
    const found = await actions.getConnectedAccount({ connectionName, identifier });
    const listed = await actions.listConnectedAccounts({ connectionName, identifier });
    const credential = found.connectedAccount.authorizationDetails.details;
    return {
      createdStatus: created.connectedAccount.status,
      link: link.link,
      updatedStatus: updated.connectedAccount.status,
      credentialCase: credential.case,
      credential: credential.value.details,
      listed: listed.connectedAccounts.map((account) => account.id),
      id: found.connectedAccount.id,
    };
  },

  deleteAccount: (client, { connectionName, identifier }) =>
    client.actions.deleteConnectedAccount({ connectionName, identifier }),
  getAccount: (client, { connectionName, identifier }) =>
    client.actions.getConnectedAccount({ connectionName, identifier }),
  verify: (client, input) => client.actions.verifyConnectedAccountUser(input),

  async request(client, input) {
    // A fresh client has no token before its first RPC, and `request` does not fetch one.
    await client.actions.listConnections({ pageSize: 1 });
    const { status, data, headers } = await client.actions.request(input);
    return { status, data, source: headers['x-scalekit-source'] };
  },

  async validateToken(client) {
    const token = await clientToken(client);
    const claims = await client.validateToken(token, { issuer: client.coreClient.envUrl });
    return { issuer: claims.iss, expiresAt: claims.exp };
  },
};

/** The token that the client itself obtained for its calls. */
async function clientToken(client) {
  await client.organization.listOrganization({ pageSize: 1 });
  return client.coreClient.accessToken;
}
