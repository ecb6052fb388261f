// An identity provider for tests: oidc-provider (a certified implementation), on loopback, with its storage in memory.
// PORT; CLIENTS, a JSON list of [id, secret or null, redirect URI or null]; BEHIND, seconds by which its clock is slow.
// Each start makes keys of its own: a restart at the same port is a rotation of its keys.
import { exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { Provider, errors } from 'oidc-provider';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const { PORT, CLIENTS, BEHIND } = process.env;
const issuer = `http://127.0.0.1:${PORT}`;

const now = Date.now;
Date.now = () => now() - 1000 * Number(BEHIND ?? 0);

const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
const kid = `key-${Date.now()}-${process.pid}`;
const jwk = { ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'ES256' };

const scope = 'tools orders';
const resourceServer = (audience) => ({
  audience,
  scope,
  accessTokenFormat: 'jwt',
  accessTokenTTL: 600,
  jwt: { sign: { alg: 'ES256' } },
});

const provider = new Provider(issuer, {
  jwks: { keys: [jwk] },
  scopes: ['openid', ...scope.split(' ')],
  clients: JSON.parse(CLIENTS).map(([client_id, client_secret, redirect]) => ({
    client_id,
    ...(client_secret ? { client_secret } : {}),
    grant_types: redirect ? ['authorization_code', 'refresh_token'] : ['client_credentials', EXCHANGE],
    redirect_uris: redirect ? [redirect] : [],
    response_types: redirect ? ['code'] : [],
    scope: `openid ${scope}`,
    token_endpoint_auth_method: client_secret ? 'client_secret_basic' : 'none',
    id_token_signed_response_alg: 'ES256',
  })),
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  cookies: { keys: ['a secret of the tests'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => resourceServer(resource),
    },
  },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  // Nobody sits before a test: what is asked for is granted.
  loadExistingGrant: async (ctx) => {
    if (!ctx.oidc.session.accountId) return undefined;
    const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope(`openid ${scope}`);
    if (ctx.oidc.params.resource) grant.addResourceScope(ctx.oidc.params.resource, scope);
    await grant.save();
    return grant;
  },
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
});

// Who is named by `login_hint` is signed in.
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  const { params } = await provider.interactionDetails(ctx.req, ctx.res);
  await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: params.login_hint } });
  ctx.respond = false;
});

// RFC 8693, as a custom grant of the provider's: it knows its own tokens, and signs new ones for another audience.
const parameters = new Set(['audience', 'resource', 'scope', 'requested_token_type', 'subject_token', 'subject_token_type']);
provider.registerGrantType(EXCHANGE, async (ctx) => {
  const { params, client } = ctx.oidc;
  if (params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('subject_token_type');
  let subject;
  try {
    ({ payload: subject } = await jwtVerify(params.subject_token, publicKey, { issuer }));
  } catch {
    throw new errors.InvalidGrant('the subject token is not good');
  }
  const grant = new provider.Grant({ clientId: client.clientId, accountId: subject.sub });
  grant.addResourceScope(params.resource, scope);
  const token = new provider.AccessToken({
    accountId: subject.sub, client, grantId: await grant.save(), gty: 'token_exchange', scope: params.scope,
  });
  token.resourceServer = new provider.ResourceServer(params.resource, resourceServer(params.resource));
  ctx.oidc.entity('AccessToken', token);
  ctx.body = {
    access_token: await token.save(), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: token.expiration,
  };
}, parameters);

provider.on('server_error', (ctx, error) => console.error(error));
provider.listen(Number(PORT), '127.0.0.1', () => console.log('listening'));
