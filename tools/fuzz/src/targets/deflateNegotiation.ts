import * as Extension from "@effect-websocket/protocol/Extension"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { check, facts, same } from "../check.js"
import { Input } from "../Input.js"

const bits = (input: Input): number | undefined => input.pick([undefined, 8, 9, 10, 11, 12, 13, 14, 15])

const parameters = (input: Input): PermessageDeflate.Parameters => ({
  serverNoContextTakeover: input.flag(),
  clientNoContextTakeover: input.flag(),
  serverMaxWindowBits: bits(input),
  clientMaxWindowBits: input.flag() ? true : bits(input)
})

const settings = (input: Input): PermessageDeflate.Settings =>
  PermessageDeflate.resolve({
    serverMaxWindowBits: bits(input),
    clientMaxWindowBits: bits(input),
    serverNoContextTakeover: input.flag(),
    clientNoContextTakeover: input.flag(),
    ...(input.flag() ? { offers: Array.from({ length: 1 + input.below(3) }, () => parameters(input)) } : {})
  })

const names = [
  "server_no_context_takeover",
  "client_no_context_takeover",
  "server_max_window_bits",
  "client_max_window_bits",
  "unknown"
] as const
const values = ["8", "15", "10", "7", "16", "010", "1e1", " 9", "-8", ""] as const

const extension = (input: Input): Extension.Extension =>
  Extension.make(
    input.below(8) === 7 ? "other" : PermessageDeflate.name,
    Array.from({ length: input.below(5) }, () => {
      const name = input.pick(names)
      return [name, input.flag() ? true : input.below(4) === 3 ? input.latin1(3) : input.pick(values)] as const
    })
  )

const inRange = ({ windowBits }: PermessageDeflate.Direction): boolean => windowBits >= 8 && windowBits <= 15

/** Whatever two of our own are set to, they agree, and on the same windows. Whatever a peer offers or answers is judged. */
export const deflateNegotiation = (bytes: Uint8Array): void => {
  const input = new Input(bytes)
  const client = settings(input)
  const server = settings(input)

  const accepted = PermessageDeflate.accept(PermessageDeflate.offer(client), server)
  check(accepted !== undefined, "a server of ours declines what a client of ours offers")
  const agreed = PermessageDeflate.check([accepted.extension], client)
  check(agreed !== undefined && !("_tag" in agreed), "a client of ours refuses what a server of ours accepts")
  for (const [sender, receiver] of [
    [agreed.outbound, accepted.inbound],
    [accepted.outbound, agreed.inbound]
  ] as const) {
    check(sender.windowBits <= receiver.windowBits, "a sender's window is larger than the receiver's")
    check(!sender.contextTakeover || receiver.contextTakeover, "a sender relies on a context that nobody keeps")
  }

  const offers = Array.from({ length: input.below(4) }, () => extension(input))
  const answered = PermessageDeflate.accept(offers, server)
  if (answered !== undefined) {
    check(inRange(answered.inbound) && inRange(answered.outbound), "a window is out of range")
    const fits = offers.some((offer) => {
      const parsed = PermessageDeflate.parse(offer, "offer")
      if ("_tag" in parsed || offer.name !== PermessageDeflate.name) return false
      const verdict = PermessageDeflate.check([answered.extension], PermessageDeflate.resolve({ offers: [parsed] }))
      return verdict !== undefined && !("_tag" in verdict)
    })
    check(fits, "the answer fits no offer")
  }

  const judged = PermessageDeflate.check(offers, client)
  if (judged !== undefined && "_tag" in judged) check(facts(judged)["origin"] === "remote", "the peer is not blamed")
  else if (judged !== undefined) check(inRange(judged.inbound) && inRange(judged.outbound), "a window is out of range")

  for (const offer of offers) {
    for (const kind of ["offer", "answer"] as const) {
      const parsed = PermessageDeflate.parse(offer, kind)
      if ("_tag" in parsed) continue
      same(PermessageDeflate.parse(PermessageDeflate.format(parsed), kind), parsed, "parameters do not survive")
    }
  }
}
