// Calls through @alicloud/pop-core: by POST everything stands in the form, by GET in the query string.
const readline = require("readline");
const { RPCClient } = require("@alicloud/pop-core");

const settings = JSON.parse(process.argv[2]);
const client = new RPCClient({
  accessKeyId: settings.access_key_id,
  accessKeySecret: settings.access_key_secret,
  endpoint: `http://${settings.endpoint}`,
  apiVersion: "2015-11-23",
});

async function call({ action, params, method }) {
  const texts = Object.entries(params).map(([name, value]) => [
    name,
    typeof value === "object" ? JSON.stringify(value) : String(value),
  ]);
  try {
    return { ok: await client.request(action, Object.fromEntries(texts), { method: method || "POST", timeout: 60000 }) };
  } catch (error) {
    return { error: { type: error.name, code: error.code, message: error.message } };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await call(JSON.parse(line))));
  }
})();
