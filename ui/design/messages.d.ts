// The build puts in the messages that a page uses, in all languages.
declare module "portico:messages" {
  export const languages: readonly string[];
  /** By key, the message in each language, in the order of `languages`. */
  const messages: Record<string, readonly (string | Record<string, string>)[]>;
  export default messages;
}

// The origins that a page's `page.json` allows images from.
declare module "portico:page" {
  export const imageOrigins: readonly string[];
  export const version: string;
}
