"""Personalization: what a person likes, how sure that is, and how it reaches a reply.

    choices, edits, statements -> measures -> beliefs and posterior -> words -> frame -> reply

* ``measures``: text measures of an answer, no model needed
* ``dimensions``: what a person can like, with two poles in words
* ``beliefs``: which dimensions explain the choices, and how sure that is
* ``posterior``: the probability that one answer is preferred to another
* ``words``: from beliefs and statements to an instruction
* ``frames``: how an instruction is put before a model
* ``preferences``: all of it for one person's vault
"""
