/** The reference libraries. */
import type { Seed } from "./Item.js"
import { gerbil } from "./gerbil.js"
import { hcs } from "./hcs.js"
import { upgradeHandshake } from "./upgradeHandshake.js"
import { websocketLwtUnix } from "./websocketLwtUnix.js"
import { wsClientEgg } from "./wsClientEgg.js"

export const seeds: ReadonlyArray<Seed> = [upgradeHandshake, hcs, websocketLwtUnix, gerbil, wsClientEgg]
