/** Writes `dist`, which is all that is published. */
import { fileURLToPath } from "node:url"
import { bundle } from "./bundle.js"

const folder = fileURLToPath(new URL("dist", import.meta.url))
console.log(`packages/cli/dist: a bundle with code of ${await bundle(folder)} packages`)
