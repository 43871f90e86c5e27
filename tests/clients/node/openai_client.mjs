// The official client for Node: chat completions, completions, the Responses API.

import assert from "node:assert";
import OpenAI from "openai";
import { apiKey, assertPaint, baseURL, capital, collect, model, paint, question, run } from "./harness.mjs";

const client = new OpenAI({ apiKey, baseURL, maxRetries: 0 });
const ask = { model, temperature: 0, max_completion_tokens: 64 };
const messages = [{ role: "user", content: question }];
const buy = [{ role: "user", content: "One litre of glossy red paint." }];
const tools = [{ type: "function", function: { name: "buy_paint", parameters: paint, strict: true } }];
const response_format = { type: "json_schema", json_schema: { name: "paint", schema: paint, strict: true } };

await run({
  async text() {
    const answer = await client.chat.completions.create({ ...ask, messages });
    assert.match(answer.choices[0].message.content, new RegExp(capital));
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  },

  async streamed_text() {
    const stream = client.chat.completions.stream({ ...ask, messages, stream_options: { include_usage: true } });
    const chunks = await collect(stream);
    assert.ok(chunks.length > 5);
    const final = await stream.finalChatCompletion();
    assert.match(final.choices[0].message.content, new RegExp(capital));
    assert.ok(final.usage.completion_tokens > 5);
  },

  async completion() {
    const asked = { model, prompt: "The capital of France is", max_tokens: 8, temperature: 0 };
    const whole = await client.completions.create(asked);
    const chunks = await collect(await client.completions.create({ ...asked, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), whole.choices[0].text);
  },

  async tools() {
    const answer = await client.chat.completions.create({ ...ask, messages: buy, tools, tool_choice: "required" });
    const [call] = answer.choices[0].message.tool_calls;
    assertPaint(JSON.parse(call.function.arguments));
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    const result = { role: "tool", tool_call_id: call.id, content: "bought" };
    const round = [...buy, answer.choices[0].message, result];
    const final = await client.chat.completions.create({ ...ask, messages: round, tools, tool_choice: "none" });
    assert.equal(typeof final.choices[0].message.content, "string");
  },

  async streamed_tools() {
    const tool_choice = { type: "function", function: { name: "buy_paint" } };
    const stream = client.chat.completions.stream({ ...ask, messages: buy, tools, tool_choice });
    const final = await stream.finalChatCompletion();
    assertPaint(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments));
    assert.equal(final.choices[0].finish_reason, "stop");
  },

  async structured() {
    const answer = await client.chat.completions.create({ ...ask, messages: buy, response_format });
    assertPaint(JSON.parse(answer.choices[0].message.content));
    const stream = client.chat.completions.stream({ ...ask, messages: buy, response_format });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, answer.choices[0].message.content);
  },

  async errors() {
    const refused = client.chat.completions.create({ ...ask, messages, frobnicate: 1 });
    await assert.rejects(refused, { status: 400, param: "frobnicate", code: "unknown_parameter" });
    await assert.rejects(client.models.retrieve("gpt-0"), { status: 404, code: "model_not_found" });
  },

  async responses() {
    const asked = { model, input: question, temperature: 0, max_output_tokens: 64 };
    const answer = await client.responses.create(asked);
    assert.match(answer.output_text, new RegExp(capital));
    const stream = client.responses.stream(asked);
    const events = await collect(stream);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
    assert.equal((await stream.finalResponse()).output_text, answer.output_text);
  },

  async responses_tools() {
    const tool = { type: "function", name: "buy_paint", parameters: paint, strict: true };
    const asked = { model, temperature: 0, max_output_tokens: 64, tools: [tool] };
    const answer = await client.responses.create({ ...asked, input: "Red paint.", tool_choice: "required" });
    const call = answer.output.find((item) => item.type === "function_call");
    assertPaint(JSON.parse(call.arguments));
    const result = { type: "function_call_output", call_id: call.call_id, output: "bought" };
    const input = [{ role: "user", content: "Red paint." }, call, result];
    assert.equal((await client.responses.create({ ...asked, input, tool_choice: "none" })).object, "response");
  },
});
