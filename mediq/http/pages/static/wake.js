/** Keep the screen on while the page is shown, if the browser supports it. */
export function stayAwake() {
  if (!("wakeLock" in navigator)) return;
  const lock = () => {
    if (document.visibilityState === "visible") navigator.wakeLock.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", lock);
  lock();
}
