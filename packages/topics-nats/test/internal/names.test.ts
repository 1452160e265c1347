import * as names from "../../src/internal/names.js"
import { assert, describe, it } from "../platform.js"

const topics = ["rooms/1", "a.b", "a*", ">", "=2e", "%2e", "ä", "🚀", " ", "\r\n", "-_", "A", "a"]

describe("names", () => {
  it("are one token of a subject, whatever the topic is named, and can be read again", () => {
    for (const topic of topics) {
      const token = names.escapeToken(topic)
      assert.match(token, /^[\w/=-]+$/)
      assert.strictEqual(names.unescapeToken(token), topic)
    }
    assert.strictEqual(names.unescapeToken("=zz=f"), "=zz=f")
  })

  it("those of different topics differ", () => {
    assert.strictEqual(new Set(topics.map((topic) => names.publishSubject("t", topic, "e"))).size, topics.length)
    assert.strictEqual(new Set(topics.map((topic) => names.streamOf("t", topic))).size, topics.length)
    assert.notStrictEqual(names.sessionToken("a", "b"), names.sessionToken('a","b', ""))
  })

  it("of streams fit into the name of a file", () => {
    assert.match(names.streamOf("topics", "🚀".repeat(127)), /^topics_[\w-]{43}$/)
  })

  it("of what a stream takes and tells end with the epoch", () => {
    const subject = names.publishSubject("topics", "rooms/1", "4f5a")
    assert.strictEqual(subject, "topics.in.rooms/1.4f5a")
    assert.strictEqual(names.lastToken(subject), "4f5a")
    assert.strictEqual(names.publicationSubject("topics", "a.b", "*"), "topics.out.a=2eb.*")
    assert.strictEqual(names.controlSubject("topics", "topics_digest"), "topics.control.digest")
  })
})
