/**
 * Picture files written by Pillow 13.0.0, three by two pixels, and the RGB pixels that Pillow reads from
 * them.
 *
 * @module
 */

/** A picture file and its pixels. */
export interface ForeignPicture {
  readonly name: string;
  /** The file. */
  readonly base64: string;
  /** The file's pixels as RGB. */
  readonly rgb: readonly number[];
}

/** Files of many formats and colour types. */
export const FOREIGN_PICTURES: readonly ForeignPicture[] = [
  {
    name: "RGB with texts",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAG3RFWHRwYXJhbWV0ZXJzAGEgY2F0LCBTdGVwczogMjAwxvLI" +
      "AAAAIGlUWHRub3RlAAAAZGUATm90aXoAZWluIELDpHIg4pyTIOeMq3xULEwAAAAXelRYdGxvbmcAAHicS0xPzMxTSCSaBACl" +
      "XxEBwLu1HwAAABlpVFh0cGFja2VkAAEAAAB4nHves/o5NgQA1bAQ8Z0aZ4kAAAAYSURBVHicY/jPwMAAwVwicidSjP7//w8A" +
      "PBkHle/CxtgAAAAASUVORK5CYII=",
    // deno-fmt-ignore
    rgb: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255],
  },
  {
    name: "RGB with alpha",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAYAAACddGYaAAAAIklEQVR4nGP8z8CQwvifgYGB8T8DE7eIHMOJVCOG//8ZGABY" +
      "gwcBdE5elAAAAABJRU5ErkJggg==",
    // deno-fmt-ignore
    rgb: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255],
  },
  {
    name: "8-bit grey",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAEElEQVR4nGPwmSbLdOzZIwALOQOQ/bwxagAAAABJRU5ErkJg" +
      "gg==",
    // deno-fmt-ignore
    rgb: [76, 76, 76, 150, 150, 150, 29, 29, 29, 18, 18, 18, 124, 124, 124, 255, 255, 255],
  },
  {
    name: "grey with alpha",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAQAAAA3fa6RAAAAF0lEQVR4nGPw+T/tv+x/pmMMzxgeMQAAM1EGjYzi62YAAAAA" +
      "SUVORK5CYII=",
    // deno-fmt-ignore
    rgb: [76, 76, 76, 150, 150, 150, 29, 29, 29, 18, 18, 18, 124, 124, 124, 255, 255, 255],
  },
  {
    name: "1-bit grey",
    base64: "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAQAAAAC1D1u3AAAADElEQVR4nGNwYFAAAADkAGEW5G6OAAAAAElFTkSuQmCC",
    // deno-fmt-ignore
    rgb: [0, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255],
  },
  {
    name: "8-bit palette",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACBAMAAABvWnspAAAAElBMVEX///8A/wDIZDIKFB7/AAAAAP8STycHAAAADklEQVR4" +
      "nGN05GcwYgAAAfEAhLB+fWEAAAAASUVORK5CYII=",
    // deno-fmt-ignore
    rgb: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255],
  },
  {
    name: "4-bit palette",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACBAMAAABvWnspAAAAElBMVEX///8A/wDIZDIKFB7/AAAAAP8STycHAAAADklEQVR4" +
      "nGN05GcwYgAAAfEAhLB+fWEAAAAASUVORK5CYII=",
    // deno-fmt-ignore
    rgb: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255],
  },
  {
    name: "2-bit palette",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAgMAAADgGo6JAAAADFBMVEWA/4DIZDIKFB6AAIBJ4tOfAAAADElEQVR4nGPwYXIB" +
      "AAEwAJNO6vz2AAAAAElFTkSuQmCC",
    // deno-fmt-ignore
    rgb: [200, 100, 50, 128, 255, 128, 128, 0, 128, 10, 20, 30, 200, 100, 50, 128, 255, 128],
  },
  {
    name: "4-bit palette with transparency",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACBAMAAABvWnspAAAAElBMVEX///8A/wDIZDIKFB7/AAAAAP8STycHAAAAAnRSTlP/" +
      "AOW3MEoAAAAOSURBVHicY3TkZzBiAAAB8QCEsH59YQAAAABJRU5ErkJggg==",
    // deno-fmt-ignore
    rgb: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255],
  },
  // Pillow 13 clips these to white; pixstage keeps the upper 8 bits.
  {
    name: "16-bit grey",
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACEAAAAADoj+WFAAAAFklEQVR4nGNkYFDWUNZgzKxQ1lDWAAAL7wIQJQ3apQAAAABJ" +
      "RU5ErkJggg==",
    // deno-fmt-ignore
    rgb: [0, 0, 0, 35, 35, 35, 70, 70, 70, 105, 105, 105, 140, 140, 140, 175, 175, 175],
  },
  {
    name: "lossless WebP",
    base64:
      "UklGRkIAAABXRUJQVlA4TDYAAAAvAkAAAC9AkG2zQdzr/jLTIJO2yV//dmZtZNI2rYf986+y8x9o5JGs+wYEApSx4oFtIvof" +
      "4wU=",
    // deno-fmt-ignore
    rgb: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255],
  },
  {
    name: "WebP with alpha",
    base64:
      "UklGRkIAAABXRUJQVlA4TDYAAAAvAkAAEC9AkG2zQdzr/jLTIJO2yV//dmZtZNI2rYf986+yQxZo5JGs+wYEApSx4oFtIvof" +
      "4wU=",
    // deno-fmt-ignore
    rgb: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255],
  },
  {
    name: "grey JPEG",
    base64:
      "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsI" +
      "CQoKCgoKBggLDAsKDAkKCgr/wAALCAACAAMBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgED" +
      "AwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RF" +
      "RkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJ" +
      "ytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/APvX/gjl+xF+xf8AHj/gmF8Fvix8cf2RPhf4z8U6v4Mi" +
      "bVvEvivwDp2o6hemOSSJDNcXELySFY0RBuY4VFUcACv/2Q==",
    // deno-fmt-ignore
    rgb: [77, 77, 77, 148, 148, 148, 31, 31, 31, 18, 18, 18, 123, 123, 123, 255, 255, 255],
  },
  {
    name: "JPEG with a comment",
    base64:
      "/9j/4AAQSkZJRgABAQAAAQABAAD/4QBgRXhpZgAATU0AKgAAAAgAAYdpAAQAAAABAAAAGgAAAAAAAZKGAAcAAAAwAAAAKFVO" +
      "SUNPREUAAGUAaQBuACAAQgDkAHIAIHMrACwAIABTAHQAZQBwAHMAOgAgADIAMP/bAEMAAgEBAQEBAgEBAQICAgICBAMCAgIC" +
      "BQQEAwQGBQYGBgUGBgYHCQgGBwkHBgYICwgJCgoKCgoGCAsMCwoMCQoKCv/bAEMBAgICAgICBQMDBQoHBgcKCgoKCgoKCgoK" +
      "CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCv/AABEIAAIAAwMBIgACEQEDEQH/xAAfAAABBQEBAQEB" +
      "AQAAAAAAAAAAAQIDBAUGBwgJCgv/xAC1EAACAQMDAgQDBQUEBAAAAX0BAgMABBEFEiExQQYTUWEHInEUMoGRoQgjQrHBFVLR" +
      "8CQzYnKCCQoWFxgZGiUmJygpKjQ1Njc4OTpDREVGR0hJSlNUVVZXWFlaY2RlZmdoaWpzdHV2d3h5eoOEhYaHiImKkpOUlZaX" +
      "mJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4eLj5OXm5+jp6vHy8/T19vf4+fr/xAAfAQADAQEBAQEB" +
      "AQEBAAAAAAAAAQIDBAUGBwgJCgv/xAC1EQACAQIEBAMEBwUEBAABAncAAQIDEQQFITEGEkFRB2FxEyIygQgUQpGhscEJIzNS" +
      "8BVictEKFiQ04SXxFxgZGiYnKCkqNTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqCg4SFhoeIiYqSk5SV" +
      "lpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2dri4+Tl5ufo6ery8/T19vf4+fr/2gAMAwEAAhEDEQA/" +
      "APvX/gjl+xF+xf8AHj/gmF8Fvix8cf2RPhf4z8U6v4MibVvEvivwDp2o6hemOSSJDNcXELySFY0RBuY4VFUcACiiiv7K8Nv+" +
      "Td5N/wBguH/9MwPDzP8A5GVb/HL/ANKP/9k=",
    // deno-fmt-ignore
    rgb: [101, 79, 4, 172, 150, 75, 17, 16, 143, 42, 20, 0, 147, 125, 50, 241, 240, 255],
  },
  {
    name: "WebP with a comment",
    base64:
      "UklGRtAAAABXRUJQVlA4WAoAAAAIAAAAAgAAAQAAVlA4IFIAAAAwAgCdASoDAAIAAUAmJagCdEcAZIACzZubOAD9A/+Hm4ez" +
      "f4mOj6/o5cLHND5f4q1VPP/z3//Yy1XO5v//2Dj/x7/sZarnc3/vWpwq1K2I8cgARVhJRlgAAABNTQAqAAAACAABh2kABAAA" +
      "AAEAAAAaAAAAAAABkoYABwAAADAAAAAoVU5JQ09ERQAAZQBpAG4AIABCAOQAcgAgcysALAAgAFMAdABlAHAAcwA6ACAAMgAw",
    // deno-fmt-ignore
    rgb: [91, 75, 8, 150, 139, 127, 18, 18, 116, 41, 25, 0, 132, 120, 108, 244, 244, 255],
  },
  {
    name: "CMYK JPEG",
    base64:
      "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAIBgYHBgUIBwcHCQkICgwUDQwLCwwZEhMPFB0aHx4dGhwcICQuJyAiLCMcHCg3KSww" +
      "MTQ0NB8nOT04MjwuMzQy/8AAFAgAAgADBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//E" +
      "ALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2" +
      "Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrC" +
      "w8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD0LwX4U8Oat4K0bUdS0DSry+ur" +
      "SOa4ubmzjkkmkYZZ3ZgSzEkkk8mu4+Hfhfw9q/w+0S91PQtMvbt7cK09zaRyOwUlVBZgSQFVVHoAB2r0j4QqqfCzRVVQoxNw" +
      "Bj/ls9e/1//Z",
    // deno-fmt-ignore
    rgb: [255, 7, 0, 0, 249, 18, 0, 0, 239, 14, 11, 28, 181, 103, 44, 255, 252, 255],
  },
  {
    name: "animated WebP",
    base64:
      "UklGRswAAABXRUJQVlA4WAoAAAASAAAAAgAAAQAAQU5JTQYAAAAAAAAAAABBTk1GUgAAAAAAAAAAAAIAAAEAAAAAAAJWUDhM" +
      "OQAAAC8CQAAAL0CQbTOJeR3wrtMgk7bJXUNzP21k0jbUQ+/5VzNLnf9AA5td3yVQyDYCHLrX4Eguov8xvABBTk1GRgAAAAAA" +
      "AAAAAAIAAAEAAAAAAABWUDhMLQAAAC8CQAAQJyAQIET4L/RgQ0iQkP1/1S4QIJz43zJi/gPATZ0NBJK2eNsf0f9wDwA=",
    // deno-fmt-ignore
    rgb: [],
  },
];
