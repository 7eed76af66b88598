/** Who may use the API. */
export interface AccessSettings {
  /** `user:password` for HTTP Basic authentication; `null` lets everybody in who reaches the loopback address. */
  readonly auth: string | null;
  /** Host names that requests may be addressed to while there is no authentication, besides the loopback ones. */
  readonly allowedHosts: readonly string[];
}

/** Injection token of the {@link AccessSettings}. */
export const ACCESS_SETTINGS = Symbol('nestor.access-settings');
