import { AuthData } from "#src/auth/auth-data.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { withUnstable } from "#src/http/unstable-paths.ts";
import { CrossSigningUpload, SignatureUpload } from "../key-schemas.ts";
import { uploadCrossSigningKeys } from "../upload-cross-signing-keys.ts";
import { uploadSignatures } from "../upload-signatures.ts";

const Body = CrossSigningUpload.extend({ auth: AuthData.optional() });

/** The specification's `cross_signing.yaml`. */
export const crossSigningEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "uploadCrossSigningKeys",
    method: "POST",
    path: withUnstable("/_matrix/client/v3/keys/device_signing/upload"),
    body: Body,
    async handle(hs, call) {
      await uploadCrossSigningKeys(hs, call);
      return {};
    },
  }),
  userEndpoint({
    operation: "uploadCrossSigningSignatures",
    method: "POST",
    path: withUnstable("/_matrix/client/v3/keys/signatures/upload"),
    body: SignatureUpload,
    async handle(hs, { requester, body }) {
      return { failures: await uploadSignatures(hs, requester, body) };
    },
  }),
];
