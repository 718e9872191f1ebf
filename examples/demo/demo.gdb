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
# 400,000 rounds of a hot loop: the condition is compiled into it.
break demo.c:49 if round == 300000
continue
print round
print/x state
monitor info translations
delete
continue
