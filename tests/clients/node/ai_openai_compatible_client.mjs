// @ai-sdk/openai-compatible: chat completions.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { cases } from "./ai_sdk.mjs";
import { apiKey, baseURL, model, run } from "./harness.mjs";

const provider = createOpenAICompatible({
  name: "lambda",
  apiKey,
  baseURL,
  includeUsage: true,
  supportsStructuredOutputs: true,
});

await run(cases("", provider(model)));
