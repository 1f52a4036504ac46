/** Client of Lookalike's HTTP API, for browsers and Node.js 20 and newer. */
import type { components } from "./schema.js";
type Schemas = components["schemas"];
export type Answer = Schemas["Answer"];
export type Match = Schemas["Match"];
export type Item = Schemas["Item"];
export type ItemPage = Schemas["Page"];
export type Facets = Schemas["Facets"];
export type Garment = Schemas["Garment"];
export type Info = Schemas["Info"];
export type ItemWrite = Schemas["ItemBody"];
export type ItemChange = Schemas["ItemPatch"];
export type BulkLine = Schemas["BulkItem"];
export type PhotoTicket = Schemas["PhotoTicket"];
export type BulkReport = Schemas["BulkReport"];
/** Search by items or words; the options are those of `POST /v1/search`. */
export type Question = Partial<Schemas["Question"]>;
/** Search by photos, beside which items and words may be given. */
export type PhotoQuestion = Omit<Partial<Schemas["SearchForm"]>, "photo" | "unlike" | "garment"> & {
    /** One photo, or several whose mean is the query. */
    photo: Blob | Blob[];
    /** Photos to look less like. */
    unlike?: Blob | Blob[];
    /** Garment to search with: `auto`, `whole`, a kind such as `dress`, or a number. */
    garment?: string;
};
/** How a client reaches the server. */
export interface Options {
    /** Address of the server, such as `https://search.shop.example`. */
    endpoint: string;
    /** Key or token, sent as `Authorization: Bearer`; not needed where the server is open. */
    key?: string;
    /** Gallery, where the server has several; without it, the first one. */
    gallery?: string;
    /** Longest time for one attempt, in milliseconds. */
    timeout?: number;
    /** Number of attempts while the server is busy. */
    attempts?: number;
    /** Replacement of `fetch`. */
    fetch?: typeof fetch;
}
/** What one call may set. */
export interface CallOptions {
    /** Cancels the call. */
    signal?: AbortSignal;
}
/** Error of a request: of the server, or of the way to it (`status` is then 0 and `code` is `unreachable`). */
export declare class LookalikeError extends Error {
    readonly code: string;
    readonly status: number;
    readonly details: Readonly<Record<string, unknown>>;
    readonly requestId: string | null;
    name: string;
    /**
     * @param message Sentence for people.
     * @param code Code for programs, such as `unknown_item`; the API's documentation lists them.
     * @param status HTTP status.
     * @param details Further facts of the error, by name.
     * @param requestId Id of the request in the server's log.
     */
    constructor(message: string, code: string, status: number, details?: Readonly<Record<string, unknown>>, requestId?: string | null);
}
/** A server, or one of its galleries. */
export declare class Lookalike {
    #private;
    /** @throws {TypeError} The endpoint is not an address, or the number of attempts or the time is not above 0. */
    constructor(options: Options);
    /** Search by items, words, or photos. */
    search(question: Question | PhotoQuestion, call?: CallOptions): Promise<Answer>;
    /** Garments of a photo, the most prominent first; boxes are x1, y1, x2, y2 in pixels of the upright photo. */
    findGarments(photo: Blob, call?: CallOptions): Promise<Garment[]>;
    /** One item. */
    item(id: string, call?: CallOptions): Promise<Item>;
    /** A page of the items that a filter passes, in the order of adding. */
    items(page?: {
        where?: string;
        offset?: number;
        limit?: number;
    }, call?: CallOptions): Promise<ItemPage>;
    /** Values and counts of each attribute among the items that a filter passes. */
    facets(of?: {
        where?: string;
    }, call?: CallOptions): Promise<Facets>;
    /** Spaces, limits and abilities of the gallery. */
    info(call?: CallOptions): Promise<Info>;
    /** Address of an item's photo, or of a thumbnail whose longest side has `size` pixels; `ticket` is that of `photoTicket`. */
    photoUrl(id: string, { size, ticket }?: {
        size?: number;
        ticket?: string;
    }): string;
    /** Ticket for photos where these need a key, since an `<img>` cannot send one; `expires` is in seconds since 1970. */
    photoTicket(call?: CallOptions): Promise<PhotoTicket>;
    /** Add an item with its photo, or replace it; without a photo, replace its product and attributes. */
    putItem(id: string, item: ItemWrite & {
        photo?: Blob;
    }, call?: CallOptions): Promise<Item>;
    /** Change attributes of an item. */
    patchItem(id: string, change: ItemChange, call?: CallOptions): Promise<Item>;
    /** Remove an item. */
    deleteItem(id: string, call?: CallOptions): Promise<void>;
    /** Write many items at once; the report has the status of each line. */
    putItems(lines: Iterable<BulkLine>, call?: CallOptions): Promise<BulkReport>;
}
export {};
