import { assert, describe, it } from "@effect/vitest"
import * as SlashCommand from "../src/SlashCommand.js"

describe("SlashCommand", () => {
  it("parses commands", () => {
    const cases = [
      ["/ping", { _tag: "Ping", data: "" }],
      ["/ping a b", { _tag: "Ping", data: "a b" }],
      ["/pong x", { _tag: "Pong", data: "x" }],
      ["/close", { _tag: "Close", code: 1000, reason: "" }],
      ["/close 4000 good  bye", { _tag: "Close", code: 4000, reason: "good  bye" }],
      ["/close bye", { _tag: "Invalid", message: 'A close code has four digits, and is not "bye"' }],
      ["/base64 aGk=", { _tag: "Base64", data: "aGk=" }],
      ["/help", { _tag: "Help" }],
      ["//etc", { _tag: "Text", data: "/etc" }],
      ["/nope", { _tag: "Invalid", message: "There is no /nope; /help lists the commands, and //text sends /text" }]
    ] as const
    for (const [line, expected] of cases) assert.deepStrictEqual(SlashCommand.parse(line), expected)
  })

  it("leaves messages alone", () => {
    for (const line of ["", "hello", " /ping"]) assert.isUndefined(SlashCommand.parse(line))
  })

  it("has help for each command", () => {
    for (const name of SlashCommand.names) {
      assert.isTrue(SlashCommand.help.some(([usage]) => usage.split(" ")[0] === name))
      assert.notStrictEqual(SlashCommand.parse(name)?._tag, "Invalid")
    }
  })
})
