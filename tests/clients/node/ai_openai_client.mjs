// @ai-sdk/openai: the Responses API, its default, and chat completions.

import { createOpenAI } from "@ai-sdk/openai";
import { cases } from "./ai_sdk.mjs";
import { apiKey, baseURL, model, run } from "./harness.mjs";

const provider = createOpenAI({ apiKey, baseURL });

await run({ ...cases("responses_", provider(model)), ...cases("chat_", provider.chat(model)) });
