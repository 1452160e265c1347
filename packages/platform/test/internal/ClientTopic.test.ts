import * as Message from "@effect-websocket/protocol/Message"
import { ClientTopic } from "../../src/internal/ClientTopic.js"
import { StreamMember } from "../../src/internal/StreamMember.js"
import { gap } from "../../src/internal/topicEvents.js"
import { assert, it } from "../effect/vitest.js"
import { showTopicEvent as show } from "../showTopicEvent.js"

const text = Message.text("x")

it("own publications that are acknowledged in a new epoch before the subscription has heard of it do not come back", () => {
  const topic = new ClientTopic("a")
  const member = new StreamMember("close", 1024, () => {})
  topic.add(member, { since: undefined, last: 0 })
  topic.started({ _tag: "New", position: { epoch: "1", offset: 5 } })
  topic.published({ epoch: "2", offset: 3 })
  topic.published({ epoch: "2", offset: 4 })
  topic.started(gap({ epoch: "2", offset: 1 }))
  for (const offset of [2, 3, 4, 5]) topic.publication({ epoch: "2", offset }, text)
  assert.deepStrictEqual(member.take().map(show), ["New 5", "Gap 1", "2 x", "5 x"])
  // The gap may also end at them.
  topic.published({ epoch: "3", offset: 8 })
  topic.started(gap({ epoch: "3", offset: 7 }))
  assert.deepStrictEqual(topic.position, { epoch: "3", offset: 8 })
})

it("a subscription that was asked for by nobody who is left tells later subscribers nothing", () => {
  const topic = new ClientTopic("a")
  const since = { epoch: "1", offset: 3 }
  const [gone, member] = [new StreamMember("close", 1024, () => {}), new StreamMember("close", 1024, () => {})]
  topic.add(gone, { since: undefined, last: 0 })
  topic.begin()
  topic.phase = "subscribing"
  topic.members.delete(gone)
  topic.abandon()
  topic.add(member, { since, last: 0 })
  topic.started({ _tag: "New", position: { epoch: "1", offset: 5 } })
  topic.publication({ epoch: "1", offset: 6 }, text)
  assert.isTrue(topic.isStale)
  assert.deepStrictEqual(member.take().map(show), [])
  assert.deepStrictEqual(topic.begin(), { since, last: 0 })
  topic.started({ _tag: "Recovered", position: since, missed: 3 })
  for (const offset of [4, 5, 6]) topic.publication({ epoch: "1", offset }, text)
  assert.deepStrictEqual(member.take().map(show), ["Recovered 3, missed 3", "4 x", "5 x", "6 x"])
})
