// Guesses what a mistyped word was meant to be.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace strata::cli {

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other
/// (optimal string alignment distance).
size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or an empty string if none is near: more than a third of the
/// word's letters (but two at least) would have to change.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// " (did you mean 'WORD'?)", or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace strata::cli
