/**
 * The part of node-postgres that the queue uses. Its own types depend on another version of Node's types.
 * Source: https://node-postgres.com/apis/client
 *
 * @module
 */

/** Connection options of a client. */
export interface ClientConfig {
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly database?: string;
  readonly password?: string;
  readonly ssl?: boolean;
  readonly connectionTimeoutMillis?: number;
}

/** A connection to PostgreSQL. */
export class Client {
  constructor(config: ClientConfig);
  connect(): Promise<void>;
  query<Row>(text: string, values?: readonly unknown[]): Promise<{ rows: Row[]; rowCount?: number | null }>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): this;
}
