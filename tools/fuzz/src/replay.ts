/** `pnpm --filter fuzz replay target base64`: runs one input, with the stack of what it finds. */
import { targets } from "./targets.js"

const [name = "", input = ""] = process.argv.slice(2)
const target = targets[name]
if (target === undefined) throw new Error(`There is no target ${JSON.stringify(name)}`)
await target(Uint8Array.from(Buffer.from(input, "base64")))
console.log("nothing found")
