// Calls through @alicloud/dm20151123: bodies in chunks, without a length.
const readline = require("readline");
const dm = require("@alicloud/dm20151123");
const { $OpenApiUtil } = require("@alicloud/openapi-core");

const settings = JSON.parse(process.argv[2]);
const config = new $OpenApiUtil.Config({
  accessKeyId: settings.access_key_id,
  accessKeySecret: settings.access_key_secret,
  endpoint: settings.endpoint,
  protocol: "http",
  signatureAlgorithm: settings.signature_algorithm,
  // Encoding 27 MB keeps Node busy for longer than it waits for a connection by default.
  connectTimeout: 60000,
  readTimeout: 60000,
});
const client = new dm.default(config);

// Make a model from what goes over the wire, and the models inside it.
function built(type, value) {
  if (type && type.itemType && Array.isArray(value)) return value.map((each) => built(type.itemType, each));
  if (typeof type !== "function" || !type.names) return value;
  const fields = Object.entries(type.names()).filter(([, wire]) => wire in value);
  return new type(Object.fromEntries(fields.map(([field, wire]) => [field, built(type.types()[field], value[wire])])));
}

function request(action, params) {
  const model = dm[`${action}Request`];
  return model ? [built(model, params)] : [];
}

async function call({ action, params }) {
  const method = action[0].toLowerCase() + action.slice(1);
  try {
    const response = await client[method](...request(action, params));
    return { ok: response.body.toMap() };
  } catch (error) {
    return { error: { type: error.name, code: error.code, message: error.message, retry_after: error.retryAfter } };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await call(JSON.parse(line))));
  }
})();
