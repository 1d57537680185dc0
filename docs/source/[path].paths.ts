import { sourcePages } from "../.vitepress/repository.ts";

export default { paths: sourcePages };
