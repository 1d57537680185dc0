import type { Theme } from "vitepress";
import DefaultTheme from "vitepress/theme";
import { h } from "vue";
import samples from "../../../models/pixstage-emoji/samples.png";
import "./style.css";

const theme: Theme = {
  extends: DefaultTheme,
  Layout: () =>
    h(DefaultTheme.Layout, null, {
      "home-hero-image": () =>
        h("img", {
          class: "samples",
          src: samples,
          alt: "Pictures that pixstage drew with its embedded model",
        }),
    }),
};

export default theme;
