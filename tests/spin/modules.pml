/* SPDX-License-Identifier: MIT */
/*
 * A model of what goes on between two holds of the lock: an unregistration in slices, and a realloc
 * that copies without it, while other clients allocate and free by the same name.
 *
 * Blocks are places, each free, the heap's own or a module's by its id. An id has a record: it lives
 * while the name or a block refers to it. For each block the model remembers what no heap does: which
 * of the modules that had the name one after the other it was made for (its generation).
 *
 * Each guard can be taken away: then the property beside it must fail.
 *
 *   KEEP_ID      an id is not given again while a block or a sweep refers to its record
 *                -> a sweep frees only what the module had that was unregistered
 *   OWN_BLOCKS   what realloc copies is the heap's own meanwhile
 *                -> no block is freed twice
 *   LOOK_AGAIN   when the copy is done, realloc looks whether the module is still there
 *                -> no block is lost
 *   SLICE        a slice ends after BUDGET places
 *                -> an unregistration holds the lock for no more of them
 */
#ifndef KEEP_ID
#define KEEP_ID 1
#endif
#ifndef OWN_BLOCKS
#define OWN_BLOCKS 1
#endif
#ifndef LOOK_AGAIN
#define LOOK_AGAIN 1
#endif
#ifndef SLICE
#define SLICE 1
#endif

#define PLACES  4
#define IDS     2 /* a third module of the name has to wait for an id */
#define BUDGET  2 /* places of a slice */
#define CALLS   3 /* of each client */
#define CLIENTS 2
#define TIMES   2 /* that the name is unregistered */

#define FREE 0
#define OWN  1
#define ID   2 /* the first module's; ID + 1 the other one's */
#define NONE 15

bit locked;
byte owner[PLACES];
byte made_for[PLACES]; /* generation; remembered by the model only */
byte named = NONE;     /* the id of the name */
bit used[IDS];
bit has_name[IDS];
byte references[IDS];
byte generation_of[IDS];
byte generations;
byte over; /* processes that are */
byte held; /* places that an unregistration passed since the lock was taken */

inline lock()
{
    atomic { !locked -> locked = 1 }
}

inline unlock()
{
    d_step {
        assert(held <= BUDGET); /* the lock is held no longer */
        held = 0;
        locked = 0
    }
}

inline free_place(place)
{
    assert(owner[place] != FREE); /* none is freed twice */
    owner[place] = FREE;
    made_for[place] = 0
}

inline drop(id)
{
    assert(references[id] != 0);
    references[id]--;
    if
    :: references[id] == 0 -> used[id] = 0
    :: else
    fi
}

/* The first free place, NONE: there is none. */
inline find_free(place)
{
    place = 0;
    do
    :: place < PLACES && owner[place] != FREE -> place++
    :: else -> break
    od;
    if
    :: place == PLACES -> place = NONE
    :: else
    fi
}

/* The id of the name, which becomes known if it is not. NONE: no id is to be had. */
inline find_or_make(id)
{
    id = named;
    if
    :: id == NONE ->
        if
        :: !used[0] -> id = 0
        :: used[0] && !used[1] -> id = 1
        :: else
        fi;
        if
        :: id != NONE ->
            used[id] = 1;
            has_name[id] = 1;
            references[id] = 1;
            generations++;
            generation_of[id] = generations;
            named = id
        :: else
        fi
    :: else
    fi
}

/* May a client use its block: is the module still there that it was made for? */
#define IS_MINE(place, generation) \
    (place != NONE && named != NONE && generation_of[named] == generation)

proctype Client()
{
    byte mine = NONE;
    byte generation = 0;
    byte place = NONE;
    byte id = NONE;
    byte calls = 0;
    do
    :: calls < CALLS ->
        calls++;
        if
        :: true -> /* malloc, by the name */
            lock();
            d_step {
                if
                :: !IS_MINE(mine, generation) -> mine = NONE
                :: else
                fi;
                place = NONE;
                if
                :: mine == NONE -> find_free(place)
                :: else
                fi;
                if
                :: place != NONE ->
                    find_or_make(id);
                    if
                    :: id != NONE ->
                        references[id]++;
                        owner[place] = ID + id;
                        generation = generation_of[id];
                        made_for[place] = generation;
                        mine = place
                    :: else
                    fi
                :: else
                fi
            }
            unlock()
        :: true -> /* free */
            lock();
            d_step {
                if
                :: IS_MINE(mine, generation) ->
                    id = owner[mine] - ID;
                    free_place(mine);
                    drop(id)
                :: else
                fi;
                mine = NONE
            }
            unlock()
        :: true -> /* realloc, which moves */
            lock();
            d_step {
                place = NONE;
                if
                :: IS_MINE(mine, generation) ->
                    id = owner[mine] - ID;
                    find_free(place)
                :: else
                fi;
                if
                :: place != NONE ->
                    owner[place] = OWN;
                    made_for[place] = generation;
                    if
                    :: OWN_BLOCKS -> owner[mine] = OWN
                    :: else
                    fi
                :: else
                fi
            }
            unlock();
            if
            :: place != NONE -> /* here it copies */
                lock();
                d_step {
                    free_place(mine);
                    if
                    :: LOOK_AGAIN && !has_name[id] ->
                        free_place(place);
                        drop(id);
                        mine = NONE
                    :: else ->
                        owner[place] = ID + id;
                        mine = place
                    fi
                }
                unlock()
            :: else
            fi
        fi
    :: else -> break
    od;
    over++
}

proctype Unregister()
{
    byte times = 0;
    byte id = NONE;
    byte generation = 0;
    byte place = 0;
    byte passed = 0;
    do
    :: times < TIMES ->
        times++;
        lock();
        d_step {
            id = named;
            if
            :: id != NONE ->
                named = NONE;
                has_name[id] = 0;
                generation = generation_of[id];
                if
                :: !KEEP_ID -> used[id] = 0
                :: else
                fi
            :: else
            fi;
            place = 0
        }
        unlock();
        do
        :: id != NONE && place < PLACES ->
            lock();
            d_step {
                passed = 0;
                do
                :: place < PLACES && (passed < BUDGET || !SLICE) ->
                    if
                    :: owner[place] == ID + id ->
                        assert(made_for[place] == generation); /* none of a new module's */
                        free_place(place);
                        references[id]--
                    :: else
                    fi;
                    place++;
                    passed++;
                    held++
                :: else -> break
                od;
                if
                :: place == PLACES -> drop(id)
                :: else
                fi
            }
            unlock()
        :: else -> break
        od
    :: else -> break
    od;
    over++
}

/* When all is over, each block is its module's, and each id is referred to as often as it says. */
proctype Judge()
{
    byte place = 0;
    byte id = 0;
    byte blocks[IDS];
    (over == CLIENTS + 1);
    d_step {
        do
        :: place < PLACES ->
            assert(owner[place] != OWN);
            if
            :: owner[place] != FREE ->
                id = owner[place] - ID;
                assert(used[id] && has_name[id]); /* no block is lost */
                assert(made_for[place] == generation_of[id]);
                blocks[id]++
            :: else
            fi;
            place++
        :: else -> break
        od;
        id = 0;
        do
        :: id < IDS ->
            assert(!used[id] || references[id] == blocks[id] + 1);
            assert(used[id] == (id == named));
            id++
        :: else -> break
        od
    }
}

init
{
    atomic {
        run Client();
        run Client();
        run Unregister();
        run Judge()
    }
}
