# Where a word that is not in the tree yet gets its node: two calls deep.
break insert if depth == 2
continue
info args
backtrace
print words_seen
print *tree
step
next
finish
# Stop again when the program counts its next word.
delete
watch words_seen
continue
delete
continue
