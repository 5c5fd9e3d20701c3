/** A path in JSON: text, with the exact bytes beside it when the text loses something (`jsonPath` of the engine makes it). */
export interface PathJson {
  readonly path: string;
  readonly path_b64?: string;
}
