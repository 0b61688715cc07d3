// Parallel corpora: two files or one, splits, and what is refused.
#include "train/text/parallel_corpus.h"

#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "data_sets.h"
#include "temporary_directory.h"
#include "train/error.h"
#include "train/text/utf8.h"

namespace strata::text {
namespace {

namespace fs = std::filesystem;

class ParallelCorpus : public ::testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static std::string reason(const fs::path& path, const Languages& languages) {
    try {
      (void)load_parallel(path, languages);
    } catch (const Error& error) {
      return error.what();
    }
    return "read";
  }

  TemporaryDirectory folder_;
  Languages languages_ = {"en", "de"};
};

TEST_F(ParallelCorpus, IsTwoFilesLineByLine) {
  write("test.en", "A dog.\r\n\nTwo dogs.");
  write("test.de", "Ein Hund.\n\nZwei Hunde.\n");
  const std::vector<SentencePair> expected = {
      {"A dog.", "Ein Hund."}, {"", ""}, {"Two dogs.", "Zwei Hunde."}};
  EXPECT_EQ(load_parallel(folder_ / "test", languages_), expected);
}

TEST_F(ParallelCorpus, IsColumnsOfATabSeparatedFile) {
  const fs::path path = write("deu.txt", "Hi.\tHallo!\tCC-BY\nRun!\tLauf!\n");
  const std::vector<SentencePair> expected = {{"Hi.", "Hallo!"}, {"Run!", "Lauf!"}};
  EXPECT_EQ(load_parallel(path, {"1", "2"}), expected);
  EXPECT_EQ(load_parallel(path, {"2", "1"}).front(), (SentencePair{"Hallo!", "Hi."}));
}

TEST_F(ParallelCorpus, HasClearErrors) {
  write("test.en", "A dog.\nA cat.\n");
  write("test.de", "Ein Hund.\n");
  const std::string prefix = (folder_ / "test").string();
  EXPECT_EQ(reason(prefix, languages_),
            "'" + prefix + ".en' has 2 lines, but '" + prefix +
                ".de' has 1; line n of one must translate line n of the other");
  EXPECT_EQ(reason(prefix, {"en", "fr"}),
            "there is no parallel text '" + prefix + "': expected the two files '" + prefix +
                ".en' and '" + prefix + ".fr', or one tab-separated file");
  write("test.de", "Ein Hund.\nEine K\xE4tze.\n");
  EXPECT_EQ(reason(prefix, languages_),
            "'" + prefix +
                ".de':2: byte 7 (0xE4) is not UTF-8; convert the text, such as with "
                "iconv -f LATIN1 -t UTF-8");
  const std::string table = write("deu.txt", "Hi.\tHallo!\nRun!\n").string();
  EXPECT_EQ(reason(table, {"1", "2"}),
            "'" + table + "':2: the line has 1 tab-separated columns, column 2 is wanted");
  EXPECT_EQ(reason(table, languages_),
            "the sides of the tab-separated file '" + table +
                "' must be numbers of columns, such as 1 and 2, not 'en' and 'de'");
  EXPECT_EQ(reason(table, {"0", "1"}).substr(0, 9), "the sides");
  write("none.txt", "");
  EXPECT_EQ(reason(folder_ / "none.txt", {"1", "2"}),
            "the parallel text '" + (folder_ / "none.txt").string() + "' has no sentence");
  EXPECT_EQ(reason(folder_.path(), languages_).substr(0, folder_.path().string().size() + 17),
            "'" + folder_.path().string() + "' is a directory");
}

TEST_F(ParallelCorpus, HasSplitsByName) {
  for (const char* split : {"train", "val", "test_2016"}) {
    write(std::string(split) + ".en", "A dog.\n\n");
    write(std::string(split) + ".de", "Ein Hund.\nLeer.\n");
  }
  const TranslationData data = load_translation(folder_.path(), languages_, "test_2016", 0.1);
  EXPECT_EQ(data.train.size(), 1U);  // nobody learns from an empty side
  EXPECT_EQ(data.test.size(), 2U);
  EXPECT_THROW((void)load_translation(folder_.path(), languages_, "test_2017", 0.1), Error);
}

TEST_F(ParallelCorpus, KeepsOneSentenceOnOneSide) {
  std::string text;
  for (int i = 0; i < 600; ++i) {
    text += "sentence " + std::to_string(i / 3) + "\tSatz " + std::to_string(i) + "\n";
  }
  const TranslationData data = load_translation(write("t.tsv", text), {"1", "2"}, "", 0.3);
  EXPECT_EQ(data.train.size() + data.validation.size() + data.test.size(), 600U);
  EXPECT_GT(data.validation.size(), 45U);
  EXPECT_GT(data.test.size(), 45U);
  std::set<std::string> seen;
  for (const auto* split : {&data.train, &data.validation, &data.test}) {
    std::set<std::string> sources;
    for (const SentencePair& pair : *split) sources.insert(pair.source);
    for (const std::string& source : sources) EXPECT_TRUE(seen.insert(source).second) << source;
  }
  EXPECT_THROW((void)load_translation(folder_ / "t.tsv", {"1", "2"}, "", 0), Error);
}

TEST_F(ParallelCorpus, ReadsMulti30kAndTatoeba) {
  const fs::path data = testing::find_data_set("translation", STRATA_SOURCE_DIR, STRATA_BINARY_DIR);
  if (data.empty()) GTEST_SKIP() << "the data set 'translation' is not there";
  const TranslationData multi30k =
      load_translation(data / "multi30k", languages_, "test_2016_flickr", 0);
  EXPECT_EQ(multi30k.train.size(), 29000U);
  EXPECT_EQ(multi30k.validation.size(), 1014U);
  EXPECT_EQ(multi30k.test.size(), 1000U);
  EXPECT_EQ(load_parallel(data / "tatoeba" / "deu.txt", {"1", "2"}).size(), 169813U);
}

TEST(Utf8, IsWhatUnicodeAllows) {
  EXPECT_FALSE(first_malformed("plain, größer, 日本, 😀"));
  EXPECT_EQ(first_malformed("a\xC0\xAF"), 1U);         // overlong
  EXPECT_EQ(first_malformed("\xED\xA0\x80"), 0U);      // a surrogate
  EXPECT_EQ(first_malformed("\xF4\x90\x80\x80"), 0U);  // above U+10FFFF
  EXPECT_EQ(first_malformed("ok \xE2\x82"), 3U);       // cut short
  EXPECT_EQ(first_malformed("\x80"), 0U);
}

}  // namespace
}  // namespace strata::text
