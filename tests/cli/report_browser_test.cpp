// Looks at the report in a real browser without a network: the page is drawn, in light and in dark,
// and every section is in the document that the browser built.
#include <set>

#include <png.h>

#include "strata_process.h"

namespace strata::cli_test {
namespace {

class ReportInBrowser : public StrataTest {
 protected:
  void SetUp() override {
    make_model("m.strata");
    write_idx_data(folder() / "digits", 12, 3, 8);
    ASSERT_EQ(
        strata({"eval", "m.strata", "--data", "digits", "--switch-points", "-q", "-o", "e.json"})
            .exit_code,
        0);
    ASSERT_EQ(strata({"bench", "m.strata", "--threads", "1", "--runs", "3", "-q", "-o", "b.json"})
                  .exit_code,
              0);
    ASSERT_EQ(strata({"qos",
                      "m.strata",
                      "--deadline-ms",
                      "5",
                      "--threads",
                      "1",
                      "--seconds",
                      "0.2",
                      "--warm-up",
                      "0",
                      "--rate",
                      "200",
                      "--policies",
                      "fixed-2,best-route",
                      "--simulate",
                      "1000",
                      "--sweep",
                      "1.5,2",
                      "-q",
                      "-o",
                      "q.json"})
                  .exit_code,
              0);
    ASSERT_EQ(strata({"report", "--eval", "e.json", "--bench", "b.json", "--qos", "q.json",
                      "m.strata", "-q", "-o", "r.html"})
                  .exit_code,
              0);
  }

  [[nodiscard]] Outcome browse(const std::vector<std::string>& what) const {
    // A container has no user namespaces and little shared memory, and no network is wanted.
    std::vector<std::string> words = {"--headless",
                                      "--no-sandbox",
                                      "--disable-gpu",
                                      "--disable-dev-shm-usage",
                                      "--disable-background-networking",
                                      "--no-first-run",
                                      "--hide-scrollbars",
                                      "--user-data-dir=" + (folder() / "profile").string()};
    words.insert(words.end(), what.begin(), what.end());
    words.push_back("file://" + (folder() / "r.html").string());
    return run_program(folder(), "chromium", words);
  }

  /// How many colours a picture of the page has.
  [[nodiscard]] size_t colours(const std::vector<std::string>& more) const {
    const std::filesystem::path picture = folder() / "page.png";
    std::filesystem::remove(picture);
    std::vector<std::string> words = {"--screenshot=" + picture.string(),
                                      "--window-size=1200,5200"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = browse(words);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    EXPECT_NE(png_image_begin_read_from_file(&image, picture.c_str()), 0) << outcome.err;
    image.format = PNG_FORMAT_RGB;
    std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
    EXPECT_NE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr), 0);
    EXPECT_EQ(image.width, 1200U);
    std::set<uint32_t> seen;
    for (size_t i = 0; i + 2 < pixels.size(); i += 3) {
      seen.insert(static_cast<uint32_t>(pixels[i]) << 16U |
                  static_cast<uint32_t>(pixels[i + 1]) << 8U | pixels[i + 2]);
    }
    return seen.size();
  }
};

TEST_F(ReportInBrowser, HasEverySectionInItsDocument) {
  const Outcome page = browse({"--dump-dom"});
  ASSERT_EQ(page.exit_code, 0) << page.err;
  for (const char* words :
       {"The levels</h2>", "Accuracy against weights</h2>", "Accuracy against latency</h2>",
        "Latency</h2>", "Changing level in the middle</h2>", "Deadlines under load</h2>",
        "Latency per policy</h2>", "Nines against accuracy</h2>", "Level against time</h2>",
        "Nines by deadline</h2>", "Density per layer</h2>", "What the file holds</h2>",
        "How to get these numbers again</h2>", "</html>"}) {
    EXPECT_NE(page.out.find(words), std::string::npos) << words;
  }
}

TEST_F(ReportInBrowser, IsDrawnInLightAndInDark) {
  EXPECT_GT(colours({}), 100U);
  EXPECT_GT(colours({"--blink-settings=preferredColorScheme=0"}), 100U);
}

}  // namespace
}  // namespace strata::cli_test
