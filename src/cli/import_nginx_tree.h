// An nginx configuration as a tree of directives, with `include` followed where the files can be
// read. Knows the syntax alone, no directive but `include`. Used by import_nginx.
#ifndef UB_CLI_IMPORT_NGINX_TREE_H_
#define UB_CLI_IMPORT_NGINX_TREE_H_

#include <string>
#include <string_view>
#include <vector>

#include "cli/import.h"
#include "cli/import_draft.h"
#include "core/config_node.h"

namespace ub {

struct NginxDirective {
  SourcePosition at;
  std::vector<std::string> words;  // the name first, without quotes; never empty
  bool is_block = false;
  std::vector<NginxDirective> block;

  const std::string& name() const { return words[0]; }
  // The arguments' number, and each from 0.
  size_t size() const { return words.size() - 1; }
  const std::string& arg(size_t i) const { return words[i + 1]; }
  // "gzip on", for messages.
  std::string Text() const;
  // Of a block: the first directive of that name, or null.
  const NginxDirective* Find(std::string_view wanted) const;
};

// Reads `text`, which messages call options.name; included files are relative to the directory of
// options.file.
// Faults go to `draft`, and so do remarks on files that cannot be read. Blocks nest up to 64 deep,
// includes up to 16, and all files together have at most 16 MiB.
std::vector<NginxDirective> ReadNginx(std::string_view text, const ImportOptions& options,
                                      ImportDraft* draft);

}  // namespace ub

#endif  // UB_CLI_IMPORT_NGINX_TREE_H_
