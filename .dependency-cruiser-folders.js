// Tests may use the whole house, put together, wherever they are: so they are not counted here.
const TEST = "\\.(test|spec)\\.ts$|/testing[a-z-]*\\.ts$|^spec-tests/";

export default {
  forbidden: [
    {
      name: "no-folder-circles",
      comment: "Two folders that need each other are one folder, or want a third below them.",
      severity: "error",
      scope: "folder",
      from: { path: "^(src|federation)/[^/]+$" },
      to: { circular: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: TEST },
  },
};
