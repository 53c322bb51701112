# shellcheck shell=bash
# Sourced by what is built into the cache, once a machine. Whose disk fills up meanwhile has pages of what compilers and
# package programs say of that: the last line says it in words.

SCARCE=1024 # MiB: with less free any of these builds may have failed for that

# not_built STATUS WHAT FOLDER: for a trap on EXIT, before anything is removed. Quiet where all is well, and where there
# is space in that folder and in the one of temporary files.
not_built() {
  local what=$2 folder=$3 place free
  [ "$1" != 0 ] || return 0
  for place in "$folder XDG_CACHE_HOME" "${TMPDIR:-/tmp} TMPDIR"; do
    folder=${place% *}
    free=$(df -Pm "$folder" 2>/dev/null | awk 'NR == 2 {print $4}')
    if [ "${free:-$SCARCE}" -lt $SCARCE ]; then
      echo "$what was not built (see above), and $folder has $free MiB free: free some, or set ${place##* }" >&2
      break
    fi
  done
}
