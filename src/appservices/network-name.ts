/** What a network of an application service is called in the directory, and as an instance of its protocol. */
export function networkName(appserviceId: string, networkId: string): string {
  return `${appserviceId}|${networkId}`;
}
