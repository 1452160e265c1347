import * as Option from "effect/Option"
import * as AST from "effect/SchemaAST"
import { anything, array, literal, primitive, record, refined, union, type PlainShape } from "./plainShape.js"

/** The shape of a schema that only validates. `undefined` if it transforms values, or is of a kind that JSON lacks. */
export const plainShapeOf = (ast: AST.AST): PlainShape | undefined => {
  switch (ast._tag) {
    case "StringKeyword":
      return primitive((value) => typeof value === "string")
    case "NumberKeyword":
      return primitive((value) => typeof value === "number")
    case "BooleanKeyword":
      return primitive((value) => typeof value === "boolean")
    case "UndefinedKeyword":
      return literal(undefined)
    case "Literal":
      return literal(ast.literal)
    case "UnknownKeyword":
    case "AnyKeyword":
      return anything
    case "Refinement": {
      const from = plainShapeOf(ast.from)
      if (from === undefined) return undefined
      return refined(from, (value) => Option.isNone(ast.filter(value, AST.defaultParseOption, ast)))
    }
    case "Union": {
      const members = allOf(ast.types)
      return members && union(members)
    }
    case "TupleType": {
      const [rest, ...behind] = ast.rest
      const elements = allOf(ast.elements.map(({ type }) => type))
      if (elements === undefined || behind.length > 0 || ast.elements.some(({ isOptional }) => isOptional))
        return undefined
      if (rest === undefined) return array(elements, undefined)
      const shape = plainShapeOf(rest.type)
      return shape && array(elements, shape)
    }
    case "TypeLiteral":
      return recordOf(ast)
    default:
      return undefined
  }
}

const recordOf = ({ indexSignatures, propertySignatures }: AST.TypeLiteral): PlainShape | undefined => {
  const [index, ...others] = indexSignatures
  // A schema without any property accepts everything.
  if (others.length > 0 || (index === undefined && propertySignatures.length === 0)) return undefined
  if (index !== undefined && index.parameter._tag !== "StringKeyword") return undefined
  const properties = []
  for (const { isOptional, name, type } of propertySignatures) {
    const shape = plainShapeOf(type)
    if (shape === undefined || typeof name !== "string") return undefined
    properties.push({ name, shape, isOptional })
  }
  if (index === undefined) return record(properties, undefined)
  const shape = plainShapeOf(index.type)
  return shape && record(properties, shape)
}

const allOf = (asts: ReadonlyArray<AST.AST>): ReadonlyArray<PlainShape> | undefined => {
  const shapes = asts.map(plainShapeOf).filter((shape) => shape !== undefined)
  return shapes.length === asts.length ? shapes : undefined
}
