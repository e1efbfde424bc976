// A certified OpenID provider for one tenant's people and programs, on a free port of this machine.
// Prints its issuer address as one line of JSON, then serves until it is stopped.
import * as http from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const RESOURCE = "urn:tanheng:api";

function privateJwk(kid, alg) {
  const kind = alg === "RS256" ? ["rsa", { modulusLength: 2048 }] : ["ec", { namedCurve: "P-256" }];
  const { privateKey } = generateKeyPairSync(...kind);
  return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
}

// Two resources over the same API: one whose tokens are signed by RSA, one by an elliptic curve.
function resourceServer(_context, resource) {
  return {
    scope: "asset.read asset.sync emission.record audit.read",
    audience: "tanheng",
    accessTokenFormat: "jwt",
    accessTokenTTL: 300,
    jwt: { sign: { alg: resource === `${RESOURCE}:ec` ? "ES256" : "RS256" } },
  };
}

const configuration = {
  jwks: { keys: [privateJwk("rsa-1", "RS256"), privateJwk("ec-1", "ES256")] },
  cookies: { keys: ["a key for the cookies of a test"] },
  clients: [
    {
      client_id: "spa",
      token_endpoint_auth_method: "none",
      application_type: "native",
      grant_types: ["authorization_code"],
      response_types: ["code"],
      redirect_uris: ["http://127.0.0.1/callback"],
    },
    {
      client_id: "partner",
      client_secret: "a secret of the test partner",
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
    },
  ],
  pkce: { required: () => true },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, useGrantedResource: () => true },
  },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
};

const server = http.createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on("request", new Provider(issuer, configuration).callback());
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
