/** The reference libraries. */
import type { Seed } from "./Item.js"
import { hcs } from "./hcs.js"
import { upgradeHandshake } from "./upgradeHandshake.js"

export const seeds: ReadonlyArray<Seed> = [upgradeHandshake, hcs]
