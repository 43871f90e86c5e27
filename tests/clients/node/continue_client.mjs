// Continue's adapters, as its editor extensions use them.

import assert from "node:assert";
import { constructLlmApi } from "@continuedev/openai-adapters";
import { apiKey, assertPaint, baseURL, capital, collect, model, paint, question, run } from "./harness.mjs";

const api = constructLlmApi({ provider: "openai", apiKey, apiBase: `${baseURL}/`, model });
const ask = { model, temperature: 0, max_tokens: 64 };
const messages = [{ role: "user", content: question }];
const tools = [{ type: "function", function: { name: "buy_paint", parameters: paint } }];
const { signal } = new AbortController();

await run({
  async text() {
    const answer = await api.chatCompletionNonStream({ ...ask, messages, stream: false }, signal);
    assert.match(answer.choices[0].message.content, new RegExp(capital));
  },

  async streamed_text() {
    const chunks = await collect(api.chatCompletionStream({ ...ask, messages, stream: true }, signal));
    const text = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("");
    assert.match(text, new RegExp(capital));
    assert.ok(chunks.at(-1).usage.completion_tokens > 5);
  },

  async completion() {
    const asked = { model, prompt: "The capital of France is", max_tokens: 8, temperature: 0 };
    const whole = await api.completionNonStream({ ...asked, stream: false }, signal);
    const chunks = await collect(api.completionStream({ ...asked, stream: true }, signal));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), whole.choices[0].text);
  },

  async tools() {
    const buy = [{ role: "user", content: "One litre of glossy red paint." }];
    const asked = { ...ask, messages: buy, tools, tool_choice: "required" };
    const answer = await api.chatCompletionNonStream({ ...asked, stream: false }, signal);
    assertPaint(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments));
    const chunks = await collect(api.chatCompletionStream({ ...asked, stream: true }, signal));
    const pieces = chunks.flatMap((chunk) => chunk.choices[0]?.delta?.tool_calls ?? []);
    assertPaint(JSON.parse(pieces.map((piece) => piece.function?.arguments ?? "").join("")));
  },

  async models() {
    assert.deepEqual((await api.list()).map((served) => served.id), [model]);
  },
});
