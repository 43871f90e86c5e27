// Runs the cases of one client and prints `{case: null or what went wrong}`; pytest reads it.
// Called as `node CLIENT.mjs BASE_URL KEY MODEL`.

export const [baseURL, apiKey, model] = process.argv.slice(2);
export const question = "What is the capital of France?";
// At temperature 0 the default model answers this; it is small, so nothing else is asked of what it knows.
export const capital = "Paris";

// Every value is bounded, so that an answer of some dozen tokens is whole.
export const paint = {
  type: "object",
  properties: {
    colour: { type: "string", enum: ["red", "green", "blue"] },
    litres: { type: "integer", enum: [1, 2, 5] },
    glossy: { type: "boolean" },
  },
  required: ["colour", "litres", "glossy"],
  additionalProperties: false,
};

export function assertPaint(value) {
  const keys = Object.keys(value).sort().join();
  if (keys !== "colour,glossy,litres" || !paint.properties.colour.enum.includes(value.colour)) {
    throw new Error(`no paint: ${JSON.stringify(value)}`);
  }
}

export async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

export async function run(cases) {
  const verdicts = {};
  for (const [name, test] of Object.entries(cases)) {
    try {
      await test();
      verdicts[name] = null;
    } catch (error) {
      verdicts[name] = `${error?.stack ?? error}\n${JSON.stringify(error?.responseBody ?? error?.error ?? "")}`;
    }
  }
  console.log("\n" + JSON.stringify(verdicts));
  process.exit(0);
}
