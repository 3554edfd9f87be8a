// A push and a pull by @aws-sdk/client-ecr: `node journey.mjs POLICY`, with a lifecycle policy.
//
// The program also sends invalid requests that botocore would not send, because this client does not validate them.
// It runs in a folder that has the client, finds the registry by environment variables, and prints the results as JSON.

import { createHash } from "node:crypto";
import { ECR } from "@aws-sdk/client-ecr";

const client = new ECR({ maxAttempts: 1 });
const app = { repositoryName: "team/app" };
const parts = [Buffer.alloc(5 * 1024 * 1024), Buffer.from("the rest")];
const config = Buffer.from("{}");

const digestOf = (data) => `sha256:${createHash("sha256").update(data).digest("hex")}`;

async function upload(...pieces) {
  const { uploadId } = await client.initiateLayerUpload(app);
  let first = 0;
  for (const piece of pieces) {
    const place = { partFirstByte: first, partLastByte: first + piece.length - 1 };
    first = (await client.uploadLayerPart({ ...app, uploadId, ...place, layerPartBlob: piece })).lastByteReceived + 1;
  }
  const layerDigests = [digestOf(Buffer.concat(pieces))];
  return (await client.completeLayerUpload({ ...app, uploadId, layerDigests })).layerDigest;
}

async function availability(...layerDigests) {
  const { layers } = await client.batchCheckLayerAvailability({ ...app, layerDigests });
  const rows = new Map(layers.map((row) => [row.layerDigest, row]));
  return layerDigests.map((digest) => [rows.get(digest).layerAvailability, rows.get(digest).layerSize ?? null]);
}

async function rejection(operation, members) {
  try {
    await client[operation](members);
  } catch (error) {
    return error;
  }
  return { name: "none" };
}

const layer = digestOf(Buffer.concat(parts));
const { repository } = await client.createRepository(app);
const seen = { uri: repository.repositoryUri };
seen.before = await availability(layer, digestOf(config));
seen.uploaded = [(await upload(...parts)) === layer, (await upload(config)) === digestOf(config)];
seen.after = await availability(layer, digestOf(config));

const document = {
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf(config), size: 2 },
  layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: layer, size: 5242888 }],
};
const imageManifest = JSON.stringify(document, null, 3);
const put = await client.putImage({ ...app, imageManifest, imageTag: "1.0" });
seen.put = put.image.imageId.imageDigest === digestOf(imageManifest);
const got = await client.batchGetImage({ ...app, imageIds: [{ imageTag: "1.0" }, { imageTag: "2.0" }] });
seen.got = got.images.map((image) => image.imageManifest === imageManifest);
seen.missing = got.failures.map((failure) => failure.failureCode);
const { downloadUrl } = await client.getDownloadUrlForLayer({ ...app, layerDigest: layer });
seen.downloaded = digestOf(Buffer.from(await (await fetch(downloadUrl)).arrayBuffer())) === layer;

const ours = { repositoryName: "team/ours" };
const [image] = (await client.batchGetImage({ ...ours, imageIds: [{ imageTag: "1.0" }] })).images;
const its = JSON.parse(image.imageManifest);
seen.ours = [digestOf(image.imageManifest)];
for (const { digest } of [its.config, ...its.layers]) {
  const download = await client.getDownloadUrlForLayer({ ...ours, layerDigest: digest });
  seen.ours.push(digestOf(Buffer.from(await (await fetch(download.downloadUrl)).arrayBuffer())));
}

seen.listed = (await client.listImages(app)).imageIds.map((image) => image.imageTag);
seen.described = (await client.describeImages(app)).imageDetails.map((image) => image.imageSizeInBytes);
const resourceArn = repository.repositoryArn;
await client.tagResource({ resourceArn, tags: [{ Key: "team", Value: "a" }] });
seen.tags = (await client.listTagsForResource({ resourceArn })).tags.flatMap((tag) => [tag.Key, tag.Value]);
const lifecyclePolicyText = process.argv[2];
await client.putLifecyclePolicy({ ...app, lifecyclePolicyText });
seen.policy = (await client.getLifecyclePolicy(app)).lifecyclePolicyText === lifecyclePolicyText;

const { uploadId } = await client.initiateLayerUpload(app);
const part = { ...app, uploadId, partFirstByte: 0, partLastByte: 3, layerPartBlob: Buffer.from("1234") };
const late = await rejection("uploadLayerPart", { ...part, partFirstByte: 9, partLastByte: 9, layerPartBlob: Buffer.from("x") });
await client.uploadLayerPart(part);
const again = await rejection("uploadLayerPart", part);
seen.resume = again.lastValidByteReceived ?? null;
seen.errors = [
  late.name,
  again.name,
  (await rejection("createRepository", app)).name,
  (await rejection("completeLayerUpload", { ...app, uploadId, layerDigests: [layer] })).name,
  (await rejection("batchCheckLayerAvailability", { repositoryName: "team/none", layerDigests: [layer] })).name,
  (await rejection("getDownloadUrlForLayer", { ...app, layerDigest: digestOf("never") })).name,
  (await rejection("putImage", { ...app, imageManifest, imageTag: "1.0" })).name,
];

const unchecked = {
  "no name": ["batchCheckLayerAvailability", { layerDigests: [layer] }],
  "no digests": ["batchCheckLayerAvailability", app],
  "an empty list": ["batchCheckLayerAvailability", { ...app, layerDigests: [] }],
  "101 digests": ["batchCheckLayerAvailability", { ...app, layerDigests: Array(101).fill(layer) }],
  "a name of one letter": ["batchCheckLayerAvailability", { repositoryName: "a", layerDigests: [layer] }],
  "a name in capitals": ["batchCheckLayerAvailability", { repositoryName: "Team/App", layerDigests: [layer] }],
  "a name with dots": ["batchCheckLayerAvailability", { repositoryName: "../../x", layerDigests: [layer] }],
  "a number for a name": ["batchCheckLayerAvailability", { repositoryName: 5, layerDigests: [layer] }],
  "numbers for digests": ["batchCheckLayerAvailability", { ...app, layerDigests: [1, 2] }],
  "a long digest": ["batchCheckLayerAvailability", { ...app, layerDigests: ["x".repeat(1001)] }],
  "a short registry": ["batchCheckLayerAvailability", { ...app, registryId: "12", layerDigests: [layer] }],
  "no upload": ["uploadLayerPart", { ...part, uploadId: undefined }],
  "a malformed upload id": ["uploadLayerPart", { ...part, uploadId: "../x" }],
  "a part before the first byte": ["uploadLayerPart", { ...part, partFirstByte: -1 }],
  "no part": ["uploadLayerPart", { ...part, layerPartBlob: undefined }],
  "no image": ["batchGetImage", { ...app, imageIds: [] }],
  "101 images": ["batchGetImage", { ...app, imageIds: Array(101).fill({ imageTag: "1.0" }) }],
  "no manifest": ["putImage", { ...app, imageTag: "2.0" }],
  "an empty manifest": ["putImage", { ...app, imageManifest: "" }],
  "malformed manifest": ["putImage", { ...app, imageManifest: "x" }],
  "a word for a setting": ["createRepository", { repositoryName: "team/b", imageTagMutability: "SOMETIMES" }],
};
seen.unchecked = {};
for (const [what, [operation, members]] of Object.entries(unchecked)) {
  const error = await rejection(operation, members);
  seen.unchecked[what] = [error.name, /^Invalid parameter at '(.*?)' failed/.exec(error.message)?.[1] ?? error.message];
}
console.log(JSON.stringify(seen));
