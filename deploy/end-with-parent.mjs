// Loaded before the server by deploy/run.mjs: if what started it is killed, it stops as if it had been asked to.
// Otherwise an `npm start` that was killed would leave a server behind that nobody sees.
const parent = process.ppid;

const watch = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(watch);
  process.kill(process.pid, "SIGTERM");
}, 250);
watch.unref();
