// The Vercel AI SDK's cases, for any of its providers.

import assert from "node:assert";
import { generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from "ai";
import { assertPaint, capital, collect, paint, question } from "./harness.mjs";

const buy = "One litre of glossy red paint.";
const quiet = { onError() {} };

export function cases(prefix, model) {
  const ask = { model, temperature: 0, maxOutputTokens: 64, maxRetries: 0 };
  const tools = { buy_paint: tool({ description: "Buys paint.", inputSchema: jsonSchema(paint) }) };
  const told = {
    async text() {
      const answer = await generateText({ ...ask, prompt: question });
      assert.match(answer.text, new RegExp(capital));
      assert.equal(answer.finishReason, "stop");
      assert.ok(answer.usage.outputTokens > 5);
    },

    async streamed_text() {
      const answer = streamText({ ...ask, prompt: question, ...quiet });
      assert.ok((await collect(answer.textStream)).length > 5);
      assert.match(await answer.text, new RegExp(capital));
      assert.equal(await answer.finishReason, "stop");
      assert.ok((await answer.usage).outputTokens > 5);
    },

    async tools() {
      const answer = await generateText({ ...ask, prompt: buy, tools, toolChoice: "required" });
      assertPaint(answer.toolCalls[0].input);
      assert.equal(answer.finishReason, "tool-calls");
    },

    async streamed_tools() {
      const answer = streamText({ ...ask, prompt: buy, tools, toolChoice: "required", ...quiet });
      const parts = await collect(answer.fullStream);
      assert.ok(parts.filter((part) => part.type === "tool-input-delta").length > 2);
      assertPaint((await answer.toolCalls)[0].input);
    },

    async tool_round() {
      const done = [];
      const working = { buy_paint: tool({ ...tools.buy_paint, execute: (order) => done.push(order) && "bought" }) };
      const prepareStep = ({ stepNumber }) => ({ toolChoice: stepNumber ? "none" : "required" });
      const answer = await generateText({ ...ask, prompt: buy, tools: working, prepareStep, stopWhen: stepCountIs(2) });
      assert.equal(answer.steps.length, 2);
      done.forEach(assertPaint);
      assert.ok(done.length > 0);
    },

    async structured() {
      const answer = await generateObject({ ...ask, prompt: buy, schema: jsonSchema(paint) });
      assertPaint(answer.object);
    },

    async streamed_structured() {
      const answer = streamObject({ ...ask, prompt: buy, schema: jsonSchema(paint), ...quiet });
      assert.ok((await collect(answer.partialObjectStream)).length > 1);
      assertPaint(await answer.object);
    },
  };
  return Object.fromEntries(Object.entries(told).map(([name, test]) => [`${prefix}${name}`, test]));
}
