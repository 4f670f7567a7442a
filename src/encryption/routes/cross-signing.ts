import { AuthData } from "#src/auth/auth-data.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { CrossSigningUpload, SignatureUpload } from "../key-schemas.ts";
import { uploadCrossSigningKeys } from "../upload-cross-signing-keys.ts";
import { uploadSignatures } from "../upload-signatures.ts";

const Body = CrossSigningUpload.extend({ auth: AuthData.optional() });

/** As clients say that are older than cross-signing in the specification, too. */
const pathsOf = (what: string) =>
  ["v3", "unstable"].map((it) => `/_matrix/client/${it}/keys/${what}/upload`);

/** The specification's `cross_signing.yaml`. */
export const crossSigningEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "uploadCrossSigningKeys",
    method: "POST",
    path: pathsOf("device_signing"),
    body: Body,
    async handle(hs, call) {
      await uploadCrossSigningKeys(hs, call);
      return {};
    },
  }),
  userEndpoint({
    operation: "uploadCrossSigningSignatures",
    method: "POST",
    path: pathsOf("signatures"),
    body: SignatureUpload,
    async handle(hs, { requester, body }) {
      return { failures: await uploadSignatures(hs, requester, body) };
    },
  }),
];
