// strata version: which strata this is and how it was built.
#include "tools/strata/machine.h"
#include "tools/strata/verb.h"

namespace strata::cli {
namespace {

class VersionVerb : public Verb {
 public:
  VersionVerb()
      : Verb("version", "Show the version and how this program was built",
             "  strata version\n"
             "  strata version --json") {}

  void declare(CLI::App& /*app*/) override {}

  void run(const Console& console) override {
    Json document = console.document();
    document["build"] = build_json();
    const Json& build = document["build"];
    const std::string torch = build["libtorch"].is_null()
                                  ? "without libtorch"
                                  : "libtorch " + build["libtorch"].get<std::string>();
    console.result(document, "strata " + build["strata"].get<std::string>() + " (" +
                                 build["type"].get<std::string>() + ", " +
                                 build["compiler"].get<std::string>() + ", " + torch + ")\n");
  }
};

}  // namespace

std::unique_ptr<Verb> make_version_verb() { return std::make_unique<VersionVerb>(); }

}  // namespace strata::cli
